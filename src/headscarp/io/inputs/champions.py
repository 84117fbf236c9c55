"""Which released model predicts where: `champions.json` of a model store."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from headscarp.core.manifest import SAFE_NAME
from headscarp.core.region import CLIMATES, GLOBAL_MODEL
from headscarp.errors import BadBundle, NotFound
from headscarp.tables.regions import BELTS

CHAMPION: Final = "champion"
"""The name that means the released model for the place."""
CHAMPIONS_FILE: Final = "champions.json"
REGIONS: Final = tuple(c + belt.name for c, belt in itertools.product(CLIMATES, BELTS))


def _checked_name(name: str) -> str:
    if SAFE_NAME.fullmatch(name) is None or name == CHAMPION:
        raise ValueError(f"expected the name of a model, found {name!r}")
    return name


def _checked_region(code: str) -> str:
    if code not in REGIONS:
        raise ValueError(f"expected a region of {', '.join(REGIONS)}, found {code!r}")
    return code


ModelName = Annotated[str, AfterValidator(_checked_name)]
RegionCode = Annotated[str, AfterValidator(_checked_region)]


class Champions(BaseModel):
    """Names of the released models: of regions that have their own, and of everywhere else."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    everywhere: ModelName = Field(alias="global")
    regions: dict[RegionCode, ModelName] = {}

    @classmethod
    def load(cls, model_store: Path) -> Champions:
        """Read `champions.json` of a model store.

        Raises:
            NotFound: the store has none.
            BadBundle: it is not such a file; the message names the key.
        """
        path = Path(model_store) / CHAMPIONS_FILE
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError as error:
            raise NotFound(f"model {CHAMPION!r}: expected {path}, found no such file") from error
        except OSError as error:
            raise BadBundle(f"{path}: expected a file, found {error.strerror}") from error
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "document"
            reason = first["msg"].removeprefix("Value error, ")
            raise BadBundle(f"{path}: {place}: {reason}, found {str(first['input'])[:80]}") from error

    def name_of(self, model: str) -> str:
        """The bundle of a key of `Region.weights`."""
        return self.regions.get(model, self.everywhere)

    @property
    def names(self) -> tuple[str, ...]:
        """All released models, each once, the global one first."""
        return tuple(dict.fromkeys((self.everywhere, *(self.regions[code] for code in sorted(self.regions)))))

    def places_of(self, name: str) -> tuple[str, ...]:
        """Where a model is the champion: `global` and codes of regions."""
        own = tuple(code for code in sorted(self.regions) if self.regions[code] == name)
        return ((GLOBAL_MODEL,) if name == self.everywhere else ()) + own

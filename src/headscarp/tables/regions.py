"""The paper's regions as data: which plate boundaries and orogens make a belt, and what the paper assigned.

Belts after Bird (2003), doi:10.1029/2001GC000252: plates by his two letters, outlines of orogens
simplified to some 50 km from PB2002 as published by H. Ahlenius, Nordpil and Bird under ODC-BY 1.0.
"""

from __future__ import annotations

from datetime import date

from headscarp.core.belts import BeltRule
from headscarp.core.region import Case


def _plates(names: str) -> frozenset[str]:
    return frozenset(names.split())


ALPINE_HIMALAYAN = BeltRule(
    name="AH",
    plates=_plates("AF AR EU IN AS AT BU SO"),
    both=True,
    # spreading ridges and fracture zones: no collision there
    without_pairs=frozenset(map(frozenset, (("IN", "SO"), ("AF", "SO"), ("AR", "SO"), ("AF", "AR"), ("AR", "IN")))),
    orogens=("Alps", "Persia-Tibet-Burma"),
)
CIRCUM_PACIFIC = BeltRule(
    name="CP",
    plates=_plates(
        "PA PS CL JF RI CO PM NZ ND AP OK MA KE TO NI FT BR SB NB SS WL MN NH CR MO BH MS BS TI SU ON CA GP EA JZ"
    ),
    both=False,
    without_plates=frozenset({"AN"}),
    orogens=(
        "Alaska-Yukon",
        "Gorda-California-Nevada",
        "New Hebrides-Fiji",
        "Peru",
        "Philippines",
        "Puna-Sierras Pampeanas",
        "Rivera-Cocos",
        "western Aleutians",
    ),
)
BELTS = (ALPINE_HIMALAYAN, CIRCUM_PACIFIC)
"""The Sunda arc belongs to the Circum-Pacific: the paper has no equatorial Alpine-Himalayan region."""

REGIONAL_MODELS = frozenset({"EqCP", "TeCP", "TeAH"})
"""Regions whose own model the paper found better than the global one. One sentence of it has "AH" in place of
"temperate CP"; its results leave no doubt."""

CASES = (
    Case("Nippes 2021", date(2021, 8, 14), -73.475, 18.408, "EqCP"),
    Case("Kaikoura 2016", date(2016, 11, 13), 173.054, -42.737, "TeCP"),
    Case("Denali 2002", date(2002, 11, 3), -147.444, 63.517, "CoCP"),
    Case("Luding 2022", date(2022, 9, 5), 102.08, 29.59, "TeAH"),
    Case("Gorkha 2015", date(2015, 4, 25), 84.731, 28.231, "CoAH"),
)
"""The paper's five test events with the regions it gives them. The rule agrees on all but Gorkha: of the land shaken
with 0.12 g and more 70 % is temperate there, of the ground that slid 84 %; it finds the place ambiguous."""

OROGENS = {
    "Alps": """6.7 37.2, 9.0 34.1, 12.9 32.3, 15.8 30.8, 19.1 34.0, 20.9 36.4, 24.5 36.8, 24.5 38.4, 26.3 38.1,
        26.2 36.4, 27.6 36.2, 29.6 36.5, 30.9 37.1, 31.3 38.5, 29.0 40.7, 28.1 43.0, 29.4 44.9, 29.4 45.5, 26.9 46.3,
        21.3 47.1, 16.2 48.2, 11.8 48.5, 8.9 48.5, 7.0 47.6, 5.5 46.5, 5.4 45.4, 5.8 43.9, 6.1 42.0, 6.5 39.1""",
    "Persia-Tibet-Burma": """60.0 40.9, 57.6 40.5, 54.3 40.6, 51.4 41.7, 47.7 43.7, 44.8 44.9, 39.4 45.7, 36.3 45.6,
        36.2 44.4, 39.5 42.7, 39.7 39.4, 41.7 38.3, 42.5 37.1, 44.4 35.1, 45.3 33.5, 47.2 32.1, 48.3 31.9, 49.3 30.5,
        50.6 29.2, 50.3 28.6, 50.9 27.5, 54.5 26.0, 56.1 26.8, 57.0 25.5, 57.3 24.7, 60.0 24.0, 63.4 24.2, 66.3 24.5,
        67.4 25.4, 67.6 28.4, 67.6 29.7, 68.3 29.1, 68.8 28.6, 70.4 29.1, 70.6 30.9, 70.3 31.8, 72.5 34.3, 75.0 32.8,
        75.7 31.5, 78.0 30.1, 79.7 29.0, 81.3 28.3, 84.6 27.2, 86.8 26.6, 89.2 26.9, 91.1 23.8, 93.4 19.9, 93.9 18.9,
        93.3 15.8, 92.4 14.4, 99.2 14.3, 101.5 17.0, 102.6 17.5, 106.8 17.7, 110.5 17.7, 114.0 18.4, 112.1 21.9,
        107.8 23.5, 105.8 25.9, 105.0 28.0, 105.5 28.7, 108.1 29.9, 110.9 30.7, 111.7 31.6, 111.7 32.8, 113.7 34.8,
        114.9 34.7, 117.2 32.9, 118.9 31.3, 121.0 31.5, 123.3 31.4, 126.3 34.1, 126.3 35.8, 125.8 38.5, 125.0 40.4,
        122.8 42.4, 120.8 41.2, 117.7 40.0, 113.5 41.6, 112.3 40.8, 109.7 42.2, 107.2 43.8, 106.4 46.5, 105.5 50.3,
        104.5 51.6, 99.7 54.0, 97.1 54.5, 91.4 54.5, 88.0 53.4, 86.2 52.2, 80.3 51.4, 77.6 50.8,
        71.8 48.2, 65.6 44.7""",
    "Philippines": """120.1 19.5, 119.1 17.6, 119.2 16.6, 118.9 14.8, 119.2 13.5, 119.8 12.7, 121.0 4.9, 127.5 4.9,
        127.3 8.1, 126.3 11.1, 126.2 12.3, 124.9 14.7, 122.9 16.4, 123.5 17.8, 122.7 19.2, 121.6 19.4""",
    "New Hebrides-Fiji": """165.7 -12.5, 166.2 -14.7, 166.1 -15.4, 167.0 -17.2, 168.4 -20.7, 169.7 -22.4, 171.2 -23.1,
        172.3 -23.3, 174.9 -22.6, 176.9 -21.4, 179.0 -19.7, 180.2 -17.0, 181.9 -15.9, 182.8 -14.3, 182.0 -13.9,
        179.7 -13.6, 175.1 -12.8, 171.2 -12.4, 167.4 -11.9""",
    "western Aleutians": """177.6 50.7, 177.5 52.6, 173.1 53.5, 169.1 55.0, 164.5 56.7, 162.6 56.3, 164.0 55.2,
        166.4 54.2, 168.8 53.2, 172.9 51.7""",
    "Alaska-Yukon": """-142.9 55.4, -140.9 56.0, -137.0 57.6, -136.7 58.3, -134.3 57.9, -129.4 59.1, -123.9 60.0,
        -122.1 61.7, -121.7 63.2, -123.3 64.5, -126.9 65.5, -131.2 66.9, -134.7 68.8, -139.0 69.3, -143.5 69.6,
        -148.9 69.3, -155.7 68.7, -162.1 67.8, -164.4 66.4, -166.5 64.9, -161.3 62.1, -157.0 59.2, -154.8 57.8,
        -149.7 56.4, -145.5 56.0""",
    "Gorda-California-Nevada": """-125.5 40.0, -124.2 38.9, -123.6 37.4, -122.6 36.7, -122.2 35.5, -120.5 33.2,
        -118.6 32.1, -117.2 31.2, -116.6 30.1, -115.3 30.8, -114.8 32.2, -115.4 33.2, -114.7 34.7, -113.3 36.6,
        -111.5 38.1, -110.9 39.5, -110.8 40.8, -110.3 42.9, -109.6 44.9, -110.6 45.7, -111.7 45.7, -114.2 45.3,
        -115.5 44.2, -117.9 43.5, -122.4 43.3, -126.8 43.0, -127.3 41.8, -127.7 41.7, -127.9 40.3, -125.8 40.3""",
    "Rivera-Cocos": """-105.4 17.0, -105.0 17.0, -104.7 18.4, -105.4 19.0, -105.5 18.6, -106.2 18.8, -106.4 17.9,
        -105.5 17.3""",
    "Peru": """-73.2 -12.5, -71.9 -8.9, -73.1 -4.5, -77.1 -2.3, -79.4 -2.2, -81.7 -2.5, -82.1 -5.2, -81.1 -8.7,
        -79.7 -11.3, -77.2 -14.5, -75.8 -15.8""",
    "Puna-Sierras Pampeanas": """-71.4 -21.3, -71.6 -24.3, -72.0 -27.2, -72.7 -30.2, -73.0 -33.4, -73.4 -34.3,
        -70.5 -35.0, -69.1 -35.9, -65.5 -36.6, -64.4 -34.7, -63.8 -30.2, -64.0 -26.9, -63.3 -23.7, -63.7 -21.1""",
}
"""Outlines as longitude and latitude in degrees; longitudes beyond 180 go on eastward."""

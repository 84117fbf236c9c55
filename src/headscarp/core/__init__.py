"""Pure science and values: no I/O, no Prefect, no torch, no boto3."""

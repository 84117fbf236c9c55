"""What comes in: USGS events, ShakeMaps, event folders, rasters and vectors."""

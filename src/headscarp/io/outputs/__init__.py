"""What goes out: COGs, tiles, the STAC catalogue."""

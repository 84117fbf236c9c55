"""Labels, splits and scores: what training and evaluation compute without torch."""

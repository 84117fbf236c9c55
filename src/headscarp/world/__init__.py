"""The synthetic world: seeded terrain, shaking and landslides with known truth."""

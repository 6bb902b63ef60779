"""What knows nothing of learning: errors, files, registries, the config, the console, devices."""

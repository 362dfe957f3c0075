"""The formats, a module each: ``write(run, folder, config)`` and ``load(run, folder)``, found by name."""

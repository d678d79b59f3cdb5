"""Ready experiments, by name. Each is made by a function in a module of its own, loaded when it is asked for."""

EXPERIMENTS: dict[str, str] = {"people": "seedbed.gallery.people:people", "digits": "seedbed.gallery.digits:digits"}

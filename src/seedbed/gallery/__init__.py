"""Ready experiments, by name. Each is made by a function in a module of its own, loaded when it is asked for."""

EXPERIMENTS: dict[str, str] = {
    "people": "seedbed.gallery.people:people",
    "digits": "seedbed.gallery.digits:digits",
    "digits-cnn": "seedbed.gallery.digits_cnn:digits_cnn",
    "mnist": "seedbed.gallery.mnist:mnist",
    "names": "seedbed.gallery.names:names",
    "finetune": "seedbed.gallery.finetune:finetune",
}

"""The benchmark: Tocsin beside the everyday form of the same service, on this machine, in one run."""

# Unit tests of the host layer.

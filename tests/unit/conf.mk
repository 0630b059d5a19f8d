# Unit tests of the conf layer.

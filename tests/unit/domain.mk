# Unit tests of the domain layer.

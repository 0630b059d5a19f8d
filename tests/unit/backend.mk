# Unit tests of the backend layer.

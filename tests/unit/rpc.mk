# Unit tests of the rpc layer.

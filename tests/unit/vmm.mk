# Unit tests of the vmm layer.

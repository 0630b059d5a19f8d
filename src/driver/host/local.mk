# Owned by the host layer.

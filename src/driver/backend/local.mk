# Owned by the backend layer.

# Owned by the conf layer.

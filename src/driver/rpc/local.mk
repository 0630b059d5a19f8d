# Owned by the rpc layer.

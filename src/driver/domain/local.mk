# Owned by the domain layer.

# Helper programs and generators.

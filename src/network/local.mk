# Networks: an issue of their own; the folder keeps their place.

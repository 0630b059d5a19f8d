# Unit tests of the backend layer.
BACKEND_LIBS = libkitebackend.a libkitehost.a $(CONF_LIBS)

# Helper programs and generators.
EXTRA_DIST += %D%/deps.sh %D%/quickstart %D%/dev/check-includes.sh %D%/dev/check-style.sh

# kite-image: disk images by hand and in tests.
bin_PROGRAMS += kite-image
kite_image_SOURCES = \
	%D%/kite_image.h \
	%D%/kite_image.c %D%/kite_image_look.c %D%/kite_image_make.c %D%/kite_image_change.c %D%/kite_image_io.c
kite_image_CFLAGS = $(AM_CFLAGS)
kite_image_LDADD = $(IMAGE_LIBS)

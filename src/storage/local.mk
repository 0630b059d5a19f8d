# libkiteimage: fds and bytes, plain C, shared by the VMM and the pools.
noinst_LIBRARIES += libkiteimage.a
libkiteimage_a_SOURCES = %D%/image.h %D%/image.c
libkiteimage_a_CFLAGS = $(AM_CFLAGS)

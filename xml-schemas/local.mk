# RNG schemas, installed beside the daemon and used for *_VALIDATE.

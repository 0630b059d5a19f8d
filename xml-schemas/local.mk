# RNG schemas, installed beside the daemon and used for *_VALIDATE.
schemadir = $(pkgdatadir)/schemas
dist_schema_DATA = \
	%D%/domain.rng \
	%D%/domain-chardev.rng \
	%D%/domain-cpu.rng \
	%D%/domain-devices.rng \
	%D%/domain-disk.rng \
	%D%/domain-hostdev.rng \
	%D%/domain-interface.rng \
	%D%/domain-os.rng \
	%D%/domain-tune.rng \
	%D%/domain-types.rng \
	%D%/storage-types.rng \
	%D%/storagepool.rng \
	%D%/storagevol.rng

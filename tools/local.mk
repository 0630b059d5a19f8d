# Helper programs and generators.
EXTRA_DIST += %D%/deps.sh %D%/quickstart %D%/dev/check-includes.sh %D%/dev/check-style.sh

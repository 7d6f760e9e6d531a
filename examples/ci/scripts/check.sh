#!/bin/sh
# Everything that can be known without a server and without credentials.
set -eu

shplan fmt --check
shplan validate

"""`python -m gateway.cli` is `siptg`."""

from gateway.cli import main

main(prog_name="siptg")

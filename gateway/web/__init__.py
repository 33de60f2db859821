"""Pages and figures over HTTP, where the operator wants them."""

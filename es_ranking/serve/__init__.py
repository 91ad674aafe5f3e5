"""The HTTP service: a front end in any language speaks to it as it speaks to the engine. Needs the extra `serve`."""

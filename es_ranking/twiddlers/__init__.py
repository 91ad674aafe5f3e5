"""Small modules that rearrange a ranked list just before it is shown. Pure: hits in, order and moves out."""

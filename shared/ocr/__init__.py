"""Reading lines of text in any script: charsets, normalisation, rendering, CTC decoding, error rates. No torch, no paddle."""

"""Reading lines of text: charsets, normalisation, rendering, CTC decoding, error rates; no torch, no paddle."""

"""Reading data: image decoding and augmentation, sample order, loaders, data sets made once."""

"""Networks that more than one project uses: plain torch.nn."""

"""ResNet-50 on ImageNet; scanned digits as the embedded default."""

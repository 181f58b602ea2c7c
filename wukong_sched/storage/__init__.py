"""Where tiles are kept: one protocol of four methods, several stores."""

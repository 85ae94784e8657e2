"""One small hidden layer, whose units are the lanes of one vector."""

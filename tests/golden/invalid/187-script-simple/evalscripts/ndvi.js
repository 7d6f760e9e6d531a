//VERSION=3
return [B08 / B04];

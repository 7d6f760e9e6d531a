//VERSION=3
// The greenest moment of a period: every acquisition is read, so each one costs.
function setup() {
  return {
    input: [{bands: ["B04", "B08", "dataMask"]}],
    output: {bands: 1, sampleType: "FLOAT32"},
    mosaicking: "ORBIT",
  };
}

function evaluatePixel(samples) {
  const seen = samples.filter((one) => one.dataMask);
  return [Math.max(...seen.map((one) => (one.B08 - one.B04) / (one.B08 + one.B04)), -1)];
}

//VERSION=3
// Bands have the names that the collection gives them.
function setup() {
  return {
    input: [{bands: ["Red", "NIR", "dataMask"]}],
    output: {bands: 1, sampleType: "FLOAT32"},
  };
}

function evaluatePixel(sample) {
  return [sample.dataMask ? (sample.NIR - sample.Red) / (sample.NIR + sample.Red) : NaN];
}

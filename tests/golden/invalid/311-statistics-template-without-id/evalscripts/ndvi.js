//VERSION=3
function setup() {
  return {
    input: [{bands: ["B04", "dataMask"]}],
    output: [{id: "red", bands: 1, sampleType: "FLOAT32"}, {id: "dataMask", bands: 1}],
  };
}

function evaluatePixel(sample) {
  return {red: [sample.B04], dataMask: [sample.dataMask]};
}

//VERSION=3
function setup() {
  return {
    input: [{bands: ["B04", "B08", "dataMask"]}],
    output: [{id: "ndvi", bands: 1, sampleType: "FLOAT32"}, {id: "dataMask", bands: 1}],
  };
}

function evaluatePixel(sample) {
  return {ndvi: [(sample.B08 - sample.B04) / (sample.B08 + sample.B04)], dataMask: [sample.dataMask]};
}

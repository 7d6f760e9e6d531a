//VERSION=3
function setup() {
  return {
    input: [{bands: ["VV", "VH", "dataMask"]}],
    output: [{id: "ndvi", bands: 1, sampleType: "FLOAT32"}, {id: "dataMask", bands: 1}],
  };
}

function evaluatePixel(sample) {
  return {ndvi: [(sample.VH - sample.VV) / (sample.VH + sample.VV)], dataMask: [sample.dataMask]};
}

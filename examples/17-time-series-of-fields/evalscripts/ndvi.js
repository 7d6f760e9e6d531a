//VERSION=3
// Vegetation where there is no cloud; what dataMask excludes is counted as no data.
function setup() {
  return {
    input: ["B04", "B08", "SCL", "dataMask"],
    output: [
      {id: "ndvi", bands: ["NDVI"], sampleType: "FLOAT32"},
      {id: "dataMask", bands: 1},
    ],
  };
}

function evaluatePixel(sample) {
  const clear = sample.dataMask && ![3, 8, 9, 10].includes(sample.SCL);
  return {
    ndvi: [(sample.B08 - sample.B04) / (sample.B08 + sample.B04)],
    dataMask: [clear ? 1 : 0],
  };
}

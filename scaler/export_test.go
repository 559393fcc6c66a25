package scaler

// SaveTurn lets tests on a control plane begin where the next save is near.
var SaveTurn = saveTurn

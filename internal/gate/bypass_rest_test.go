package gate

var buildBypasses []hostile
var networkBypasses []hostile
var egressBypasses []hostile
var aroundBypasses []hostile
var clusterBypasses []hostile

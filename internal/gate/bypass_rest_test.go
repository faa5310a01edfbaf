package gate

var imageBypasses []hostile
var execBypasses []hostile
var fileBypasses []hostile
var buildBypasses []hostile
var networkBypasses []hostile
var egressBypasses []hostile
var aroundBypasses []hostile
var clusterBypasses []hostile

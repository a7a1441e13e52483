# For Invoke-ScriptAnalyzer -Path . -Recurse -Settings PSScriptAnalyzerSettings.psd1
@{
    ExcludeRules = @(
        # Scripts here talk to who runs them.
        'PSAvoidUsingWriteHost'
        # Small functions of a script or of its tests, which nobody calls with -WhatIf. The cmdlets are compiled, and support it.
        'PSUseShouldProcessForStateChangingFunctions'
        # Does not see what a dot-sourced script or a block of Pester uses.
        'PSUseDeclaredVarsMoreThanAssignments'
        'PSReviewUnusedParameter'
        # Programs and the functions that run them take positional arguments.
        'PSAvoidUsingPositionalParameters'
    )
}

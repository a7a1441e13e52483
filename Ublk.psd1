@{
    RootModule           = 'bin/Ublk.PowerShell.dll'
    ModuleVersion        = '0.1.0'
    GUID                 = '9589e0fb-7156-4e7e-b2f7-84738dfa7065'
    Author               = 'The Ublk project'
    CompanyName          = 'The Ublk project'
    Copyright            = '(c) The Ublk project'
    Description          = 'Linux ublk block devices: disks served by a user-space process, made of files, other devices or nothing at all.'

    CompatiblePSEditions = @('Core')
    PowerShellVersion    = '7.6'

    CmdletsToExport      = @(
        'Backup-UblkDevice', 'Checkpoint-UblkDevice', 'Checkpoint-UblkImage', 'Clear-UblkImageBitmap', 'Compare-UblkImage',
        'Convert-UblkImage', 'Format-UblkMeasurement', 'Get-UblkDevice', 'Get-UblkExport', 'Get-UblkFeature',
        'Get-UblkFilter', 'Get-UblkImage', 'Get-UblkImageBitmap', 'Get-UblkImageSnapshot', 'Get-UblkLog', 'Get-UblkMetric',
        'Get-UblkRegistration', 'Get-UblkTarget', 'Install-UblkUdevRule', 'Measure-UblkDevice', 'Measure-UblkImage',
        'Merge-UblkDevice', 'Merge-UblkImage', 'Move-UblkDevice', 'New-UblkDevice', 'New-UblkExport', 'New-UblkImage',
        'New-UblkImageBitmap', 'Optimize-UblkImage', 'Register-UblkDevice', 'Remove-UblkDevice', 'Remove-UblkExport',
        'Remove-UblkImageBitmap', 'Remove-UblkImageSnapshot', 'Repair-UblkImage', 'Resize-UblkDevice', 'Resize-UblkImage',
        'Restore-UblkImageSnapshot', 'Resume-UblkDevice', 'Set-UblkDevice', 'Set-UblkImage', 'Start-UblkDevice',
        'Stop-UblkDevice', 'Suspend-UblkDevice', 'Test-UblkImage', 'Uninstall-UblkUdevRule', 'Unregister-UblkDevice',
        'Update-UblkDevice', 'Watch-UblkDevice'
    )
    FunctionsToExport    = @()
    VariablesToExport    = @()
    AliasesToExport      = @()
    FormatsToProcess     = @('Ublk.Format.ps1xml')
    TypesToProcess       = @('Ublk.Types.ps1xml')

    PrivateData          = @{
        # The public address of docs/, which Get-Help -Online opens. Set it where the documentation is published.
        DocumentationUri = ''

        PSData = @{
            Tags         = @('PSEdition_Core', 'Linux', 'ublk', 'block', 'device', 'disk', 'storage', 'loop', 'io_uring')
            LicenseUri   = 'https://opensource.org/license/mit'

            # The build puts the version's part of CHANGELOG.md here.
            ReleaseNotes = ''
        }
    }
}
